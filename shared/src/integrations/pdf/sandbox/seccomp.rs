//! The filters of system calls of the sandbox.

use super::SandboxError;
use nix::libc::{self, c_int, c_long};
use seccompiler::{
    BackendError, BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter,
    SeccompRule, TargetArch,
};
use std::collections::BTreeMap;

/// Rules by the number of a system call. A call without a rule is allowed with all arguments.
type Rules = BTreeMap<i64, Vec<SeccompRule>>;

/// System calls that are allowed with all arguments: memory, time, random numbers, handlers of signals, and what
/// reads and writes open files. Only the three pipes are open.
const ALLOWED: &[c_long] = &[
    libc::SYS_brk,
    libc::SYS_clock_getres,
    libc::SYS_clock_gettime,
    libc::SYS_clock_nanosleep,
    libc::SYS_close,
    libc::SYS_exit,
    libc::SYS_exit_group,
    libc::SYS_fstat,
    libc::SYS_futex,
    libc::SYS_getcpu,
    libc::SYS_getpid,
    libc::SYS_getrandom,
    libc::SYS_getrusage,
    libc::SYS_gettid,
    libc::SYS_gettimeofday,
    libc::SYS_lseek,
    libc::SYS_madvise,
    libc::SYS_mremap,
    libc::SYS_munmap,
    libc::SYS_nanosleep,
    libc::SYS_read,
    libc::SYS_readv,
    libc::SYS_restart_syscall,
    libc::SYS_rt_sigaction,
    libc::SYS_rt_sigprocmask,
    libc::SYS_rt_sigreturn,
    libc::SYS_sched_getaffinity,
    libc::SYS_sched_yield,
    libc::SYS_sigaltstack,
    libc::SYS_sysinfo,
    libc::SYS_uname,
    libc::SYS_write,
    libc::SYS_writev,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_time,
];

/// System calls that look for a file by its name. Libraries make them of their own accord, such as pdfium for the
/// fonts of the system, and go on without an answer. Opening a file is apart, see [`open_for_reading`].
const LOOK_UPS: &[c_long] = &[
    libc::SYS_faccessat,
    libc::SYS_faccessat2,
    libc::SYS_getcwd,
    libc::SYS_newfstatat,
    libc::SYS_readlinkat,
    libc::SYS_statx,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_access,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_lstat,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_readlink,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_stat,
];

/// System calls that make a thread or a process.
const NEW_THREADS: &[c_long] = &[
    libc::SYS_clone,
    libc::SYS_clone3,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_fork,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_vfork,
];

/// System calls that open a file, with the position of their flags.
const OPENING: &[(c_long, u8)] = &[
    (libc::SYS_openat, 2),
    #[cfg(target_arch = "x86_64")]
    (libc::SYS_open, 1),
];

/// Flags by which a file may be changed or made.
const CHANGING: c_int = libc::O_ACCMODE | libc::O_CREAT | libc::O_TRUNC | libc::O_APPEND;

/// Lets attempts to start a thread or a process fail, as the limit of processes does for all users but root. Thread
/// pools then run their work on the calling thread, so that one thread exists when the sandbox is closed.
pub(in super::super) fn forbid_threads() -> Result<(), SandboxError> {
    let rules = NEW_THREADS.iter().map(|&call| (call, Vec::new())).collect();
    install(rules, SeccompAction::Errno(errno(libc::EAGAIN)), SeccompAction::Allow)
}

/// Closes the sandbox. From now on a look-up of a file fails with `EACCES`, and any other system call than those
/// that reading needs ends the process with the signal `SIGSYS`.
pub(in super::super) fn close() -> Result<(), SandboxError> {
    let mut refused = open_for_reading()?;
    refused.extend(LOOK_UPS.iter().map(|&call| (call, Vec::new())));
    let mut allowed = refused.clone();
    allowed.extend(ALLOWED.iter().map(|&call| (call, Vec::new())));
    allowed.extend(with_conditions()?);
    // Of all filters the strictest answer counts, so a look-up is refused by this one and does not end the process
    // by the next one.
    install(refused, SeccompAction::Errno(errno(libc::EACCES)), SeccompAction::Allow)?;
    install(allowed, SeccompAction::Allow, SeccompAction::KillProcess)
}

/// Returns the rules for opening files that cannot be changed thereby.
fn open_for_reading() -> Result<Rules, SandboxError> {
    let rules = OPENING.iter().map(|&(call, flags)| Ok((call, vec![rule(vec![without(flags, CHANGING)])?])));
    rules.collect()
}

/// Returns the rules of system calls that are allowed with some arguments only.
fn with_conditions() -> Result<Rules, SandboxError> {
    let own_process = std::process::id();
    let null_pointer = SeccompCondition::new(2, SeccompCmpArgLen::Qword, SeccompCmpOp::Eq, 0);
    Ok(Rules::from([
        // Memory that can be executed would be new code.
        (libc::SYS_mmap, vec![rule(vec![without(2, libc::PROT_EXEC)])?]),
        (libc::SYS_mprotect, vec![rule(vec![without(2, libc::PROT_EXEC)])?]),
        // `abort` ends the process by a signal to itself.
        (libc::SYS_tgkill, vec![rule(vec![equals(0, own_process)])?]),
        // The standard library checks an open file before it closes it, and reads the limits of the process.
        (
            libc::SYS_fcntl,
            vec![
                rule(vec![equals(1, libc::F_GETFD.unsigned_abs())])?,
                rule(vec![equals(1, libc::F_GETFL.unsigned_abs())])?,
            ],
        ),
        (libc::SYS_prlimit64, vec![rule(vec![equals(0, 0), null_pointer])?]),
    ]))
}

type Condition = Result<SeccompCondition, BackendError>;

/// Returns the condition that the argument at `position`, from 0, has this value. The kernel reads 32 bits of it.
fn equals(position: u8, value: u32) -> Condition {
    SeccompCondition::new(position, SeccompCmpArgLen::Dword, SeccompCmpOp::Eq, value.into())
}

/// Returns the condition that the argument at `position`, from 0, has none of these bits.
fn without(position: u8, bits: c_int) -> Condition {
    let bits = SeccompCmpOp::MaskedEq(bits.unsigned_abs().into());
    SeccompCondition::new(position, SeccompCmpArgLen::Dword, bits, 0)
}

fn errno(number: c_int) -> u32 {
    number.unsigned_abs()
}

/// Returns the rule that applies when all conditions do.
fn rule(conditions: Vec<Condition>) -> Result<SeccompRule, SandboxError> {
    let conditions: Result<Vec<_>, _> = conditions.into_iter().collect();
    conditions.and_then(SeccompRule::new).map_err(|error| SandboxError(error.to_string()))
}

/// Installs a filter for all threads. `matched` is the action for the calls of `rules`.
fn install(rules: Rules, matched: SeccompAction, otherwise: SeccompAction) -> Result<(), SandboxError> {
    let processor = TargetArch::try_from(std::env::consts::ARCH);
    let filter = processor.and_then(|processor| SeccompFilter::new(rules, otherwise, matched, processor));
    let program: Result<BpfProgram, _> = filter.and_then(TryInto::try_into);
    let program = program.map_err(|error| SandboxError(error.to_string()))?;
    seccompiler::apply_filter_all_threads(&program).map_err(|error| SandboxError(error.to_string()))
}
