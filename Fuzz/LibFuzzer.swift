#if LIBFUZZER
    import Glibc

    /// The target in `SPEGEL_FUZZ_TARGET`.
    private let chosenTarget: FuzzTarget = {
        let name = getenv("SPEGEL_FUZZ_TARGET").map { String(cString: $0) } ?? ""
        guard let target = FuzzTarget.all.first(where: { $0.name == name }) else {
            fatalError("expected a target in SPEGEL_FUZZ_TARGET, got '\(name)'")
        }
        return target
    }()

    /// The entry point of libFuzzer, which has the main function and the mutations; see scripts/fuzz.
    @_cdecl("LLVMFuzzerTestOneInput")
    public func fuzzOneInput(_ start: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
        _ = chosenTarget.run(Array(UnsafeBufferPointer(start: start, count: count)))
        return 0
    }
#endif
