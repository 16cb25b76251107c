fn main() -> std::process::ExitCode {
    shared::function::serve(migrate::FUNCTION)
}
