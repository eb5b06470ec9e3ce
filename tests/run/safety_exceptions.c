// SPDX-License-Identifier: MIT
/* C++ exceptions in flight, of which the language's library keeps account per thread. */
#include "safety.h"

#include "safety_throw.h"

SAFETY_TEST(cxx_exceptions)
{
	CHECK_EQ(0, throw_and_catch(w->id));
}

SAFETY_TEST(cxx_exceptions_within_destructors)
{
	CHECK_EQ(0, throw_while_unwinding(w->id));
}

TEST_HARNESS_MAIN
