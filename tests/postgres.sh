# SPDX-License-Identifier: MIT
# shellcheck shell=bash disable=SC2034
#
# A PostgreSQL of our own, in a folder that goes away, reached by a Unix socket. Source this.
#
# postgres_start: sets PGHOST, PGUSER and PGDATABASE; false with the reason in $postgres_lacks
# postgres_stop: for the EXIT trap; in any state

postgres_pid=
postgres_dir=

# In a subshell: become the command. The server refuses to be root.
postgres_exec() {
	cd / || exit 1
	[ "$(id -u)" != 0 ] || exec setpriv --reuid=nobody --regid=nogroup --clear-groups -- "$@"
	exec "$@"
}

postgres_start() {
	local bin
	bin=$(find /usr/lib/postgresql/*/bin -name postgres -printf '%h\n' 2>/dev/null | tail -n 1)
	postgres_lacks='no PostgreSQL: make deps-check installs it'
	[ -n "$bin" ] || return 1

	postgres_dir=$(mktemp -d)
	[ "$(id -u)" != 0 ] || chown nobody:nogroup "$postgres_dir"
	export PGHOST=$postgres_dir PGUSER=ringo PGDATABASE=postgres
	postgres_lacks="PostgreSQL does not start"
	(postgres_exec "$bin/initdb" -D "$postgres_dir/data" -U $PGUSER -A trust \
		--locale=C --no-sync) >"$postgres_dir.log" 2>&1 || return 1
	# Room for worker processes makes the queue of connections that are not accepted yet longer.
	(postgres_exec "$bin/postgres" -D "$postgres_dir/data" -k "$postgres_dir" \
		-c listen_addresses= -c max_connections=8 -c superuser_reserved_connections=0 \
		-c max_wal_senders=0 -c max_worker_processes=64 -c fsync=off -c autovacuum=off) \
		>>"$postgres_dir.log" 2>&1 &
	postgres_pid=$!
	for _ in $(seq 300); do
		! "$bin/pg_isready" -q || return 0
		kill -0 $postgres_pid 2>/dev/null || return 1
		sleep 0.1
	done
	return 1
}

postgres_stop() {
	[ -z "$postgres_pid" ] || { kill -INT "$postgres_pid" && wait "$postgres_pid"; } 2>/dev/null
	[ -z "$postgres_dir" ] || rm -rf "$postgres_dir" "$postgres_dir.log"
}
