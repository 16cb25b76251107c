fn main() -> std::process::ExitCode {
    shared::function::serve(user_config::FUNCTION)
}
