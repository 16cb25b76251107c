fn main() -> std::process::ExitCode {
    shared::function::serve(export_worker::FUNCTION)
}
