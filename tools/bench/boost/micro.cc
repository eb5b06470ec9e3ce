// SPDX-License-Identifier: MIT
/*
 * micro WORKLOAD ARG: the small workloads on Boost.Fiber; the twin of ringo/micro.c. One thread,
 * since fibers stay on theirs unless the program brings a scheduler of its own. Stacks are 16 KiB:
 * from a pool where fibers come and go, plain where a million lie (the pool would touch a page of
 * each). No echo: Boost.Fiber does no I/O of its own.
 */
#include <boost/fiber/all.hpp>
#include <boost/fiber/pooled_fixedsize_stack.hpp>
#include <chrono>
#include <memory>

#include "../bench.h"

namespace fibers = boost::fibers;

namespace {

const std::size_t stack_size = 16384;
fibers::pooled_fixedsize_stack pool(stack_size);
fibers::fixedsize_stack plain(stack_size);

/* One thread: a plain count will do. */
class waitgroup {
	long count = 0;
	fibers::mutex lock;
	fibers::condition_variable zero;

public:
	void add(long n) { count += n; }

	void done()
	{
		if (--count == 0)
			zero.notify_one();
	}

	void wait()
	{
		std::unique_lock<fibers::mutex> held(lock);

		zero.wait(held, [this] { return count == 0; });
	}
} wg;

template <class Stack, class Fn> void start(Stack &stack, Fn fn)
{
	fibers::fiber(fibers::launch::post, std::allocator_arg, stack, fn).detach();
}

void spawn_batches(long n, long batch)
{
	for (long i = 0; i < n; i += batch) {
		wg.add(batch);
		for (long j = 0; j < batch; j++)
			start(pool, [] { wg.done(); });
		wg.wait();
	}
}

void spawn(long batch)
{
	const long n = 1000000;

	spawn_batches(n / 10, batch);
	int64_t t0 = bench_now();
	spawn_batches(n, batch);
	bench_report_ns(t0, n);
}

void yield(long k)
{
	const long each = 2000000 / k;

	wg.add(k);
	for (long i = 0; i < k; i++)
		start(pool, [each] {
			for (long j = 0; j < each; j++)
				boost::this_fiber::yield();
			wg.done();
		});
	int64_t t0 = bench_now();
	wg.wait();
	bench_report_ns(t0, k * each);
}

void sleepers(long n)
{
	int64_t t0 = bench_now();

	wg.add(n);
	for (long i = 0; i < n; i++)
		start(plain, [] {
			boost::this_fiber::sleep_for(std::chrono::seconds(1));
			wg.done();
		});
	wg.wait();
	bench_report_slept(t0);
}

void memory(long n)
{
	static fibers::unbuffered_channel<long> never;

	wg.add(n);
	for (long i = 0; i < n; i++)
		start(plain, [] {
			long v;

			wg.done();
			never.pop(v);
		});
	wg.wait();
	boost::this_fiber::sleep_for(std::chrono::milliseconds(100));
	bench_report_parked(n);
	_Exit(0);
}

void chan_rt(long n)
{
	fibers::unbuffered_channel<long> a, b;
	fibers::fiber echoer([&a, &b] {
		for (long v : a)
			b.push(v);
	});
	int64_t t0 = bench_now();

	for (long i = 0; i < n; i++) {
		a.push(i);
		b.value_pop();
	}
	bench_report_ns(t0, n);
	a.close();
	echoer.join();
}

void chan_buf(long cap)
{
	const long n = 1000000;
	fibers::buffered_channel<long> c((std::size_t)cap);
	int64_t t0 = bench_now();
	fibers::fiber producer([&c] {
		for (long i = 0; i < n; i++)
			c.push(i);
		c.close();
	});

	for (long v : c)
		(void)v;
	bench_report_ns(t0, n);
	producer.join();
}

void mutex(long n)
{
	fibers::mutex m;
	int64_t t0 = bench_now();

	for (long i = 0; i < n; i++) {
		m.lock();
		m.unlock();
	}
	bench_report_ns(t0, n);
}

const struct bench_workload workloads[] = {
	{ "spawn", spawn }, { "yield", yield }, { "sleepers", sleepers }, { "memory", memory },
	{ "chan_rt", chan_rt }, { "chan_buf", chan_buf }, { "mutex", mutex },
	{ nullptr, nullptr },
};

}

int main(int argc, char **argv)
{
	bench_find(workloads, argc, argv)->run(bench_arg(argc, argv, 2, 1));
	return 0;
}
