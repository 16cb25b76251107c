fn main() -> std::process::ExitCode {
    shared::function::serve(admin_subscriptions::FUNCTION)
}
