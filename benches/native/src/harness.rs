//! Talking to the Python harness: a job as the first argument, one JSON object a line each way, the end of stdin.

use std::io;

use nix::sys::resource::{Resource, UsageWho, getrlimit, getrusage, setrlimit};
use nix::sys::time::TimeValLike;
use serde_json::Value;

/// What the process was started with.
pub fn job() -> io::Result<Value> {
    let argument = std::env::args().nth(1).ok_or_else(|| io::Error::other("expected a job as JSON"))?;
    Ok(serde_json::from_str(&argument)?)
}

/// A number of the job.
pub fn number(job: &Value, name: &str) -> io::Result<u64> {
    job[name].as_u64().ok_or_else(|| io::Error::other(format!("the job has no number {name:?}: {job}")))
}

/// Tells the harness something.
pub fn say(message: &Value) {
    println!("{message}");
}

/// The next thing that the harness says; `None` when it has ended.
pub fn hear() -> io::Result<Option<Value>> {
    let mut line = String::new();
    if io::stdin().read_line(&mut line)? == 0 {
        return Ok(None);
    }
    Ok(Some(serde_json::from_str(&line)?))
}

/// Lets this process open as many sockets as the system allows.
pub fn many_files() -> io::Result<()> {
    let (_, most) = getrlimit(Resource::RLIMIT_NOFILE)?;
    Ok(setrlimit(Resource::RLIMIT_NOFILE, most, most)?)
}

/// Processor time that this process used so far, in seconds.
pub fn cpu_seconds() -> io::Result<f64> {
    let usage = getrusage(UsageWho::RUSAGE_SELF)?;
    Ok((usage.user_time().num_microseconds() + usage.system_time().num_microseconds()) as f64 / 1e6)
}
