// SPDX-License-Identifier: MIT
#include "held_cxx.h"

#include <mutex>
#include <shared_mutex>

void cxx_mutex_around(void (*f)(void))
{
	static std::mutex m;
	std::lock_guard<std::mutex> hold(m);

	f();
}

void cxx_shared_mutex_around(void (*f)(void))
{
	static std::shared_mutex m;
	std::shared_lock<std::shared_mutex> hold(m);

	f();
}
