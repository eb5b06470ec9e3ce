// SPDX-License-Identifier: MIT
/* See safety_exceptions.c. */
#include "safety_throw.h"

#include <exception>
#include <stdexcept>
#include <string>

namespace {

struct mine {
	unsigned id;
	std::string text;
};

void deep(unsigned id, int depth)
{
	std::string local(40, static_cast<char>('a' + id % 26)); /* has to be destroyed on the way */

	if (depth)
		deep(id, depth - 1);
	else
		throw mine{ id, local };
}

void dawdle()
{
	for (int i = 0; i < 200; i++)
		__asm__ volatile("");
}

/* Throws and catches while another exception is on its way up. */
class guard {
public:
	guard(unsigned id, int *line) : id_(id), line_(line)
	{
	}
	~guard()
	{
		dawdle();
		if (std::uncaught_exceptions() != 1)
			*line_ = __LINE__;
		try {
			throw std::runtime_error(std::to_string(id_));
		} catch (const std::exception &e) {
			dawdle();
			if (std::to_string(id_) != e.what())
				*line_ = __LINE__;
		}
		if (std::uncaught_exceptions() != 1)
			*line_ = __LINE__;
	}

private:
	unsigned id_;
	int *line_;
};

int rethrow_inside(unsigned id)
{
	try {
		throw; /* the one that the caller handles */
	} catch (const mine &m) {
		dawdle();
		return m.id == id ? 0 : __LINE__;
	}
}

} // namespace

int throw_and_catch(unsigned id)
{
	if (std::uncaught_exceptions())
		return __LINE__;
	try {
		deep(id, 5);
	} catch (const mine &m) {
		dawdle();
		if (m.id != id || m.text != std::string(40, static_cast<char>('a' + id % 26)))
			return __LINE__;
		if (int line = rethrow_inside(id))
			return line;
		return std::current_exception() ? 0 : __LINE__;
	}
	return __LINE__;
}

int throw_while_unwinding(unsigned id)
{
	int line = 0;

	try {
		guard g(id, &line);

		throw mine{ id, "" };
	} catch (const mine &m) {
		dawdle();
		if (m.id != id)
			line = __LINE__;
	}
	return std::uncaught_exceptions() ? __LINE__ : line;
}
