fn main() -> std::process::ExitCode {
    shared::function::serve(reply_worker::FUNCTION)
}
