// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* The maps that all programs share: see ms.h. */
#define RINGO_BPF_DEFINE
#include "bpf/ms.h"

char LICENSE[] SEC("license") = "Dual BSD/GPL";

__u64 wanted[RG_BPF_CLIENTS];
__u64 filter[RG_BPF_FILTER / 64];
