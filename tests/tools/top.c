// SPDX-License-Identifier: MIT
/* ringo-top: what it shows, on 80 columns and on a terminal, and that nothing of its target makes it fall. */
#include <pty.h>
#include <sys/ioctl.h>
#include <termios.h>

#include "help.h"

static bool stop;

static void receiver(void *chan)
{
	int res = ringo_chan_recv(chan, NULL);

	CHECK(res <= 0);
}

static void spinner(void *arg)
{
	while (!LOAD(&stop))
		;
}

static void start_them(void)
{
	struct ringo_go_options o = RINGO_GO_OPTIONS(.name = "a \033[31mname");
	struct ringo_chan *c = ringo_chan_new(0, 0);

	for (int i = 0; i < 50; i++)
		CHECK_EQ(0, ringo_go_opt(&o, receiver, c));
	wait_waiting(50);
}

static void check_width(const char *text)
{
	for (; *text; text += strcspn(text, "\n"), text += *text == '\n')
		CHECK(strcspn(text, "\n") <= 80);
}

/* What is in column col of the line with what; "" when there is none. */
static double number_in(const char *text, const char *what, unsigned col)
{
	char line[128];
	const char *at = strstr(text, what);

	CHECK(at != NULL);
	while (at > text && at[-1] != '\n')
		at--;
	snprintf(line, sizeof(line), "%.*s", (int)strcspn(at, "\n"), at);
	return strtod(line + col, NULL);
}

static int batch_main(void *arg)
{
	struct said s;
	const char *second = NULL;
	double cpu = 0;

	start_them();
	CHECK_EQ(0, ringo_go_fn(spinner, NULL));
	for (int i = 0; i < 20 && !(cpu > 0); i++) { /* on a busy machine it may get none for long */
		s = say("ringo-top", "-b -n 2 -d 0.5 %d", getpid());
		check_says(&s, 0, "ringo-top - ");
		second = strstr(s.text + 10, "ringo-top - ");
		CHECK(second != NULL);
		cpu = number_in(second, " spinner ", 34);
		if (!(cpu > 0))
			free(s.text);
	}
	CHECK(cpu > 0);
	CHECK_HAS(s.text, "       50 chan receive");
	CHECK_HAS(s.text, "52 goroutines: ");
	CHECK_HAS(s.text, " receiver             start_them+");
	check_width(s.text);
	CHECK(number_in(second, " receiver ", 34) == 0);
	free(s.text);
	s = say("ringo-top", "-b -e -n 1 %d", getpid());
	check_says(&s, 0, "GOROUTINE STATE ");
	CHECK_EQ(50, count_in(s.text, " chan receive "));
	CHECK_HAS(s.text, " a ?[31mname\n");
	CHECK(!strchr(s.text, '\033'));
	check_width(s.text);
	free(s.text);
	STORE(&stop, true);
	return 0;
}

TEST(prints_groups_and_each)
{
	struct ringo_options o = RINGO_OPTIONS(.flags = RINGO_RUN_CPU_TIME);

	NEEDS_TOOL("ringo-top");
	EXPECT_EQ(0, ringo_run_opt(batch_main, NULL, &o));
}

/* Until it has said what, or is silent for long; all that it said. */
static void hear(int fd, char *text, size_t size, const char *what)
{
	size_t n = strlen(text);
	ssize_t got;

	while (!strstr(text, what)) {
		CHECK(n + 1 < size);
		got = read(fd, text + n, size - 1 - n);
		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0)
			break;
		text[n += (size_t)got] = 0;
	}
	if (!strstr(text, what))
		fprintf(stderr, "# no \"%s\" in: %s\n", what, text);
	CHECK(strstr(text, what));
}

static pid_t on_terminal(int *fd, pid_t target, const struct winsize *size)
{
	char pid[16];
	pid_t child;

	snprintf(pid, sizeof(pid), "%d", target);
	child = forkpty(fd, NULL, NULL, size);
	if (!child) {
		setenv("TERM", "xterm", 1);
		execl(tool("ringo-top"), "ringo-top", "-d", "0.2", pid, NULL);
		_exit(127);
	}
	CHECK(child > 0);
	return child;
}

static int end_of(pid_t child)
{
	int status;

	CHECK_EQ(child, waitpid(child, &status, 0));
	return status;
}

static int target_main(void *arg)
{
	start_them();
	CHECK_EQ(0, ringo_sleep(60 * RINGO_SEC));
	return 0;
}

static pid_t a_target(void)
{
	pid_t pid = fork();

	if (!pid)
		_exit(ringo_run(target_main, NULL));
	nap_ms(300);
	return pid;
}

TEST(draws_on_a_terminal_and_leaves_it_as_it_was)
{
	const struct winsize size = { .ws_row = 24, .ws_col = 80 }, small = { .ws_row = 3, .ws_col = 7 };
	static const char keys[] = "cwfrugg \033[B\033[A\033[6~\033[5~x\001\377";
	struct termios before, after;
	static char text[1 << 20];
	pid_t target, child;
	int fd;

	NEEDS_TOOL("ringo-top");
	target = a_target();
	child = on_terminal(&fd, target, &size);
	CHECK_EQ(0, tcgetattr(fd, &before));
	hear(fd, text, sizeof(text), "chan receive");
	hear(fd, text, sizeof(text), "SPAWNED BY");
	CHECK(write(fd, "g", 1) == 1);
	hear(fd, text, sizeof(text), "GOROUTINE");
	CHECK(write(fd, keys, sizeof(keys) - 1) == sizeof(keys) - 1);
	CHECK_EQ(0, ioctl(fd, TIOCSWINSZ, &small));
	nap_ms(300);
	CHECK_EQ(0, ioctl(fd, TIOCSWINSZ, &size));
	CHECK(write(fd, "q", 1) == 1);
	hear(fd, text, sizeof(text), "\033[?1049l"); /* back to the screen before */
	EXPECT_EQ(0, end_of(child));
	CHECK_EQ(0, tcgetattr(fd, &after));
	CHECK_EQ(before.c_lflag & (ICANON | ECHO), after.c_lflag & (ICANON | ECHO));
	close(fd);
	kill(target, SIGKILL);
	waitpid(target, NULL, 0);
}

TEST(ends_with_its_target)
{
	const struct winsize size = { .ws_row = 24, .ws_col = 80 };
	static char text[1 << 20];
	pid_t target, child;
	int fd, status;

	NEEDS_TOOL("ringo-top");
	target = a_target();
	child = on_terminal(&fd, target, &size);
	hear(fd, text, sizeof(text), "chan receive");
	kill(target, SIGKILL);
	waitpid(target, NULL, 0);
	hear(fd, text, sizeof(text), "ringo-top: process ");
	status = end_of(child);
	EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 1);
	close(fd);
}

static void check_refused(int status, const char *args, const char *why)
{
	struct said s = say("ringo-top", "%s", args);

	check_says(&s, status, why);
	free(s.text);
}

TEST(says_why_it_cannot)
{
	char args[64];
	pid_t pid;

	NEEDS_TOOL("ringo-top");
	check_refused(64, "", "which process?");
	check_refused(64, "1 2", "one process");
	check_refused(64, "-d 0 1", "is needed");
	check_refused(64, "-n x 1", "is needed");
	check_refused(1, "1 </dev/null", "no terminal: use --batch");
	check_refused(1, "-b 999999999", "ringo-top: ");
	check_refused(1, "-b /etc/passwd", "ringo-top: ");
	for (uint64_t seed = 0; seed < 4; seed++) { /* garbage: it says so, and waits for better */
		pid = fork();
		if (!pid)
			garbage_child(seed);
		nap_ms(100);
		snprintf(args, sizeof(args), "-b -n 2 -d 0.1 %d", pid);
		check_refused(0, args, "process ");
		kill(pid, SIGKILL);
		waitpid(pid, NULL, 0);
	}
}

TEST_HARNESS_MAIN
