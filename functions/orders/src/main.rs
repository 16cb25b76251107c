fn main() -> std::process::ExitCode {
    shared::function::serve(orders::FUNCTION)
}
