fn main() -> std::process::ExitCode {
    shared::function::serve(live_mode::FUNCTION)
}
