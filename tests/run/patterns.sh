#!/bin/bash
# SPDX-License-Identifier: MIT
# The patterns of docs/examples print what they say they print.
set -u
cd "$(dirname "$0")/../.." || exit 1
. tests/tap.sh
. tests/session.sh

PATH=$(realpath "${EXAMPLES:-build/examples}")/patterns:$PATH
all_as_shown docs/examples/patterns/*.c
finish
