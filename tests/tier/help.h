/* SPDX-License-Identifier: MIT */
/* Each test of tests/tier runs once for each tier that takes a P in the kernel; one that is not there is skipped. */
#ifndef RINGO_TESTS_TIER_HELP_H
#define RINGO_TESTS_TIER_HELP_H

#include "../bpf/help.h"
#include "../kmod/help.h"

/* The fixture of a file; its setup and teardown begin and end with those below. */
#define TIERS(fixture) \
	FIXTURE(fixture) { \
	}; \
	FIXTURE_VARIANT(fixture) { \
		const struct tier *tier; \
	}; \
	FIXTURE_VARIANT_ADD(fixture, bpf) { \
		.tier = &bpf_tier, \
	}; \
	FIXTURE_VARIANT_ADD(fixture, kmod) { \
		.tier = &kmod_tier, \
	}

static const struct tier *tier;

#define TIER_SETUP() \
	do { \
		const char *why = variant->tier->begin(); \
		if (why) \
			SKIP_SETUP("%s: %s", variant->tier->name, why); \
		tier = variant->tier; \
	} while (0)

#define TIER_TEARDOWN() EXPECT_EQ(0, tier->end())

#define TIER_MAIN \
	int main(int argc, char **argv) \
	{ \
		daemon_missing(); \
		return test_harness_run(argc, argv); \
	}

#endif
