fn main() -> std::process::ExitCode {
    shared::function::serve(webhook_worker::FUNCTION)
}
