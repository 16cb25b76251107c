fn main() -> std::process::ExitCode {
    shared::function::serve(manychat_webhook::FUNCTION)
}
