// SPDX-License-Identifier: MIT
/* Typed channels at work; what does not compile stands in typed.sh. */
#include "help.h"

struct point {
	int x, y;
};

static int seen;

static void squares(ringo_ch(long) in, ringo_ch(struct point) out)
{
	long v;

	while (ringo_ch_recv(in, &v) == 1)
		CHECK_EQ(0, ringo_ch_send(out, (struct point){ (int)v, (int)(v * v) }));
	CHECK_EQ(0, ringo_ch_close(out));
	ringo_ch_unref(in);
	ringo_ch_unref(out);
}

static int pipeline_main(void *arg)
{
	ringo_ch(long) in = ringo_ch_make(long, 4);
	ringo_ch(struct point) out = ringo_ch_make(struct point, 0), same = out;
	struct point p;
	int i = 0;

	CHECK_EQ(4, ringo_ch_cap(in));
	CHECK_EQ(0, ringo_ch_len(in));
	CHECK_EQ(0, ringo_go(squares, ringo_ch_ref(in), ringo_ch_ref(out)));
	CHECK_EQ(0, ringo_ch_send(in, 0)); /* a constant of another integer type */
	CHECK_EQ(0, ringo_ch_send(in, i + 1)); /* an int fits into a long */
	CHECK_EQ(0, ringo_ch_send(in, 2l));
	CHECK_EQ(0, ringo_ch_close(in));
	while (ringo_ch_recv(same, &p) == 1) {
		CHECK_EQ(i, p.x);
		CHECK_EQ(i * i, p.y);
		i++;
	}
	CHECK_EQ(3, i);
	ringo_ch_unref(in);
	ringo_ch_unref(out);
	return 0;
}

TEST(elements_of_any_type_pass)
{
	EXPECT_EQ(0, ringo_run(pipeline_main, NULL));
}

enum color { RED, GREEN };

#define PASSES(T, value) \
	do { \
		ringo_ch(T) c_ = ringo_ch_make(T, 1); \
		__typeof__(T) got_; \
		CHECK_EQ(0, ringo_ch_try_send(c_, value)); \
		CHECK_EQ(-EAGAIN, ringo_ch_try_send(c_, value)); \
		CHECK_EQ(1, ringo_ch_len(c_)); \
		CHECK_EQ(1, ringo_ch_try_recv(c_, &got_)); \
		CHECK(got_ == (value)); \
		CHECK_EQ(-EAGAIN, ringo_ch_try_recv(c_, NULL)); \
		ringo_ch_unref(c_); \
	} while (0)

static int types_main(void *arg)
{
	static const char text[] = "text";
	char buf[] = "buf";
	short narrow = 3;
	float f = 1.5f;

	PASSES(char, 'x');
	PASSES(unsigned char, 200);
	PASSES(short, narrow);
	PASSES(int, narrow);
	PASSES(bool, true);
	PASSES(enum color, GREEN);
	PASSES(uint64_t, 1);
	PASSES(double, f);
	PASSES(double, 2);
	PASSES(const char *, text);
	PASSES(const char *, buf);
	PASSES(char *, NULL);
	PASSES(void *, buf);
	PASSES(struct point *, (struct point *)NULL);
	PASSES(struct ringo_chan *, NULL);
	return 0;
}

TEST(values_that_fit_pass)
{
	EXPECT_EQ(0, ringo_run(types_main, NULL));
}

static int raw_main(void *arg)
{
	ringo_ch(int) c = ringo_ch_make(int, 2), d;
	struct ringo_chan *raw = ringo_ch_raw(c);
	int v = 5, w = 0;
	const int k = 7;
	struct ringo_case cases[] = { RINGO_SEND(c, &v), RINGO_RECV(c, &w), RINGO_SEND(raw, &k),
				      RINGO_RECV(raw, NULL), RINGO_RECV(c, NULL), RINGO_SEND(c, &k) };

	CHECK_EQ(sizeof(int), ringo_chan_elem_size(raw));
	d = ringo_ch_as(int, raw);
	CHECK(d == c);
	CHECK_EQ(0, ringo_select(&cases[0], 1));
	CHECK_EQ(0, ringo_select(&cases[1], 1));
	CHECK_EQ(5, w);
	CHECK_EQ(0, ringo_select(&cases[2], 1));
	CHECK_EQ(0, ringo_select(&cases[5], 1));
	CHECK_EQ(1, ringo_ch_recv(d, &w));
	CHECK_EQ(7, w);
	CHECK_EQ(0, ringo_select(&cases[4], 1));
	ringo_ch_unref(c);
	/* NULL channels are what they are raw */
	d = NULL;
	CHECK_EQ(-EAGAIN, ringo_ch_try_send(d, 1));
	d = ringo_ch_as(int, NULL);
	CHECK(!d);
	return 0;
}

TEST(typed_and_raw_are_the_same_channel)
{
	EXPECT_EQ(0, ringo_run(raw_main, NULL));
}

static void evaluated_once(ringo_ch(int) *at, int *values, int *to)
{
	CHECK_EQ(0, ringo_ch_send(*at++, *values++));
	at--;
	CHECK_EQ(1, ringo_ch_recv(*at++, to++));
	CHECK_EQ(1, *(to - 1));
	CHECK_EQ(2, *values);
	ADD(&seen, 1);
}

static int once_main(void *arg)
{
	ringo_ch(int) c[2] = { ringo_ch_make(int, 1), NULL };
	int values[] = { 1, 2 }, to[2] = { 0 };

	evaluated_once(c, values, to);
	ringo_ch_unref(c[0]);
	return 0;
}

TEST(arguments_are_evaluated_once)
{
	EXPECT_EQ(0, ringo_run(once_main, NULL));
	EXPECT_EQ(1, seen);
}

static void other_size(void *arg)
{
	(void)ringo_ch_as(long, arg);
}

static int other_size_main(void *arg)
{
	struct ringo_chan *c = ringo_chan_new(sizeof(int), 0);
	struct ringo_panic_info p;

	CHECK_EQ(1, ringo_try(other_size, c, &p));
	CHECK(strstr(p.message, "elements of 4 bytes") != NULL);
	ringo_chan_unref(c);
	return 0;
}

TEST(another_element_size_is_a_panic)
{
	EXPECT_EQ(0, ringo_run(other_size_main, NULL));
}

static void too_large(void *arg)
{
	ringo_ch(struct point) c = ringo_ch_make(struct point, SIZE_MAX / 2);

	CHECK(!c);
}

static int too_large_main(void *arg)
{
	struct ringo_panic_info p;

	CHECK_EQ(1, ringo_try(too_large, NULL, &p));
	CHECK(strstr(p.message, "no memory for a channel") != NULL);
	return 0;
}

TEST(no_memory_is_a_panic)
{
	EXPECT_EQ(0, ringo_run(too_large_main, NULL));
}

TEST_HARNESS_MAIN
