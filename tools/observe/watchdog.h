/* SPDX-License-Identifier: MIT */
/* A tool must not hang because its target does. See watchdog.c. */
#ifndef OBSERVE_WATCHDOG_H
#define OBSERVE_WATCHDOG_H

/* End this process with a message when nobody has said so for that long. */
void watchdog_start(const char *tool, int seconds, void (*last)(void)); /* last: done before; may be NULL */
void watchdog_alive(void);

#endif
