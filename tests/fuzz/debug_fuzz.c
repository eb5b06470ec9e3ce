// SPDX-License-Identifier: MIT
/*
 * Requests to the debug endpoint that mean harm (lib/observe/http.h). Checked: no access outside the bytes that
 * came, the same answer wherever they end behind the first line, and pages only for GET and HEAD.
 */
#include <assert.h>
#include <stdint.h>
#include <stdlib.h>

#include "lib/observe/http.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	char *s = malloc(n + !n); /* to the byte: a look beyond is seen */
	const char *eol;
	struct rg_request whole, line;
	int status;

	memcpy(s, data, n);
	eol = memchr(s, '\n', n);
	status = rg_http_parse(&whole, s, n);
	assert(status == 200 || status == 400 || status == 404 || status == 405);
	assert(!rg_http_complete(s, n) || eol);
	if (status == 200) {
		assert(eol && whole.page != RG_PAGE_NONE);
		assert(!memcmp(s, "GET /", 5) || !memcmp(s, "HEAD /", 6));
		assert(rg_http_parse(&line, s, (size_t)(eol - s) + 1) == 200);
		assert(line.page == whole.page && line.full == whole.full && line.head == whole.head);
	}
	free(s);
	return 0;
}
