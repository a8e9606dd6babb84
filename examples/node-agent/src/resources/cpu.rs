/// The least shares that the kernel takes, and those of who asked for none.
const MIN_SHARES: u64 = 2;
const MAX_SHARES: u64 = 262_144;
/// The least quota that the kernel takes, in microseconds.
const MIN_QUOTA: i64 = 1000;

/// The shares of the CPU for this many thousandths of one.
///
/// Answers to kubelet's `MilliCPUToShares`.
pub fn cpu_shares(milli: i64) -> u64 {
    let shares = i128::from(milli.max(0)) * 1024 / 1000;
    u64::try_from(shares)
        .unwrap_or(MAX_SHARES)
        .clamp(MIN_SHARES, MAX_SHARES)
}

/// How many microseconds of each period may be used for this many thousandths of a CPU.
///
/// 0, which is no quota at all, if there is no limit. Answers to kubelet's `MilliCPUToQuota`.
pub fn cpu_quota(milli: i64, period: i64) -> i64 {
    if milli <= 0 {
        return 0;
    }
    let quota = i128::from(milli) * i128::from(period) / 1000;
    i64::try_from(quota).unwrap_or(i64::MAX).max(MIN_QUOTA)
}

/// The weight in cgroup v2 that shares in cgroup v1 amount to: 2 to 262144 become 1 to 10000.
pub fn cpu_weight(shares: u64) -> u64 {
    let shares = shares.clamp(MIN_SHARES, MAX_SHARES);
    1 + (shares - MIN_SHARES) * 9999 / (MAX_SHARES - MIN_SHARES)
}
