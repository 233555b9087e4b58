#if LIBFUZZER
    import Glibc

    /// The target that `SPEGEL_FUZZ_TARGET` names.
    private let chosenTarget: FuzzTarget = {
        let name = getenv("SPEGEL_FUZZ_TARGET").map { String(cString: $0) } ?? ""
        guard let target = FuzzTarget.all.first(where: { $0.name == name }) else {
            fatalError("SPEGEL_FUZZ_TARGET names no target: '\(name)'")
        }
        return target
    }()

    /// What libFuzzer feeds; it brings the program's entry and its mutations, see scripts/fuzz.
    @_cdecl("LLVMFuzzerTestOneInput")
    public func fuzzOneInput(_ start: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
        _ = chosenTarget.run(Array(UnsafeBufferPointer(start: start, count: count)))
        return 0
    }
#endif
