/// The bytes that a proof authenticates: fields with their lengths, so that no two lists of fields have the same bytes.
struct ProofInput {
    private(set) var bytes: [UInt8] = []

    init(_ purpose: StaticString) {
        bytes.reserveCapacity(512)
        add(purpose.description)
    }

    mutating func add(_ text: String) {
        var text = text
        text.withUTF8 { add($0) }
    }

    /// A field that may be missing, which is not the same as an empty one.
    mutating func add(optional text: String?) {
        bytes.append(text == nil ? 0 : 1)
        if let text { add(text) }
    }

    mutating func add(_ number: UInt64) {
        for place in 1...8 { bytes.append(UInt8(truncatingIfNeeded: number >> UInt64(64 - 8 * place))) }
    }

    mutating func add(_ field: some Collection<UInt8>) {
        add(UInt64(field.count))
        bytes.append(contentsOf: field)
    }
}
