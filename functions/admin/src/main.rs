fn main() -> std::process::ExitCode {
    shared::function::serve(admin::FUNCTION)
}
