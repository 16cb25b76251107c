use std::process::ExitCode;

fn main() -> ExitCode {
    // The worker starts this program again as a child process, to read one file under resource limits; see
    // shared::pdf.
    let mut arguments = std::env::args_os().skip(1);
    if arguments.next().is_some_and(|first| first == shared::pdf::SUBCOMMAND) {
        return shared::pdf::child_main(arguments.next().as_deref());
    }
    // Comes before any setting is read: a child process that a file has taken over must not read secrets from this
    // memory.
    if let Err(error) = shared::pdf::hide_memory() {
        eprintln!("error: the memory of this process cannot be hidden: {error}");
        return ExitCode::FAILURE;
    }
    shared::function::serve(ingest_worker::FUNCTION)
}
