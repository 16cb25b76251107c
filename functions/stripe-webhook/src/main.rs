fn main() -> std::process::ExitCode {
    shared::function::serve(stripe_webhook::FUNCTION)
}
