fn main() -> std::process::ExitCode {
    shared::function::serve(not_found::FUNCTION)
}
