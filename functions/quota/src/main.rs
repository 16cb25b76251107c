fn main() -> std::process::ExitCode {
    shared::function::serve(quota::FUNCTION)
}
