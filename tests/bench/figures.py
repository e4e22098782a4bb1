"""Every figure that a measurement may print, with what it means; docs/benchmarks.md may name no other."""

LABELS = {"small": "100 tenants and 1,000 keys", "full": "10,000 tenants and 100,000 keys"}
CONNECTIONS = (1, 16, 64)

FIGURES = {
    "cores": "processors of the machine, shared with the driver",
    "disk_floor_per_s": "appends with fdatasync a second, by one writer, before",
    "disk_floor_after_per_s": "the same afterwards",
    "best_to_floor": "most leases a second to those appends",
    "floor_per_s_1": "replies of the bare listener a second, 1 connection",
    "floor_per_s_64": "the same, 64 connections",
    "floor_p99_ms_64": "its 99th percentile",
    "lease_per_s_64": "leases a second over 64 connections, of one tenant",
    "lease_vs_floor_64": "the same to the floor",
    "lease_p50_ms_64": "half of them take less",
    "lease_p99_ms_64": "99 of 100 take less",
    "lease_p999_ms_64": "999 of 1,000 take less",
    "lease_per_s_64_100_tenants": "leases a second over 64 connections, of 100 tenants in turn",
    "lease_vs_floor_64_100_tenants": "the same to the floor",
    "lease_p99_ms_64_100_tenants": "99 of 100 take less",
    "lease_per_s_1": "leases a second over one connection",
    "lease_p99_ms_1": "99 of 100 take less",
    "lease_vs_fsync_1": "the same to appends with fdatasync",
    "lease_vs_fsync_1_100_tenants": "the same, of 100 tenants in turn",
    "renew_per_s_64": "renewals a second over 64 connections",
    "renew_vs_floor_64": "the same to the floor",
    "renew_p99_ms_64": "99 of 100 take less",
    "release_per_s_64": "releases a second over 64 connections",
    "release_vs_floor_64": "the same to the floor",
    "release_p99_ms_64": "99 of 100 take less",
    "cold_floor_per_s": "connections made for one reply of the bare listener a second",
    "cold_per_s": "connections made for one lease a second",
    "cold_vs_floor": "the same to the floor",
    "cpu_us_server": "processor time of the server for a lease, 64 connections",
    "cpu_us_keeper": "that of the keeper",
    "cpu_us_floor": "that of the bare listener for a reply",
    "rss_mib_small": "memory of server and keeper together, nearly empty",
    "rss_mib_full": "memory of server and keeper together",
    "records": "in the trail when growth is measured",
    "growth_ratio_1m_records": "leases a second with them and all tenants to those when empty",
    "growth_p99_ms_64": "99 of 100 take less, then",
    "rss_growth_mib_10min": "memory of both after ten minutes of leases less that after two",
    "soak_leases": "leases in those ten minutes",
    "load_small_per_s": "requests a second while loading the first tenants and keys",
    "load_full_per_s": "requests a second while loading the rest",
    "tenants": "that were loaded",
    "keys": "that were loaded",
    "database_mib": "on disk at the end",
    "keyring_mib": "on disk at the end",
}
for label, size in LABELS.items():
    for n in CONNECTIONS:
        FIGURES[f"leases_per_s_{label}_{n}"] = f"leases a second over {n} connections, {size}"
        FIGURES[f"lease_p99_ms_{label}_{n}"] = "99 of 100 take less"
    for n in CONNECTIONS:
        FIGURES[f"ratio_full_to_small_{n}"] = f"leases a second full to nearly empty, {n} connections"
        FIGURES[f"ratio_rotating_to_still_{label}_{n}"] = "leases a second while the root key rotates to those without"
        FIGURES[f"lease_p99_ms_rotating_{label}_{n}"] = "99 of 100 take less while the root key rotates"
    FIGURES[f"rekey_root_s_{label}"] = "the fastest rotation of the root key under load, touch included"
    FIGURES[f"rotations_{label}"] = "rotations while it was measured"
    FIGURES[f"server_restart_{label}_s"] = "from a killed server to the first answer of the next, unlocked"

# What must be reached: figure, at least or at most, value, what it is.
TARGETS = [
    ("lease_vs_floor_64", ">=", 0.6, "durable, audited leases over 64 warm connections, to the floor"),
    ("lease_vs_floor_64_100_tenants", ">=", 0.6, "the same, of 100 tenants in turn"),
    ("lease_p99_ms_64", "<=", 10, "99th percentile of a lease, 64 connections, ms"),
    ("lease_p99_ms_64_100_tenants", "<=", 10, "the same, of 100 tenants in turn, ms"),
    ("lease_vs_fsync_1", ">=", 0.5, "leases over one connection, to a bare append with fdatasync"),
    ("lease_vs_fsync_1_100_tenants", ">=", 0.5, "the same, of 100 tenants in turn"),
    ("cold_vs_floor", ">=", 0.9, "handshake and lease, to handshake and reply of the floor"),
    ("renew_vs_floor_64", ">=", 0.6, "renewals over 64 connections, to the floor"),
    ("release_vs_floor_64", ">=", 0.6, "releases over 64 connections, to the floor"),
    ("rss_mib_full", "<=", 96, "memory of server and keeper, 10,000 tenants and 100,000 keys, MiB"),
    ("rss_growth_mib_10min", "<=", 8, "growth of it over ten minutes of load, MiB"),
    ("growth_ratio_1m_records", ">=", 0.9, "lease rate with 1,000,000 records and 10,000 tenants, to an empty vault"),
]
