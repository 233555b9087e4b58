/// Text whose first character names its encoding (multiformats/multibase).
public enum Multibase {
    /// The bytes of `text`, in one of base58btc (`z`), base32 (`b`), base36 (`k`) and base64url (`u`).
    ///
    /// - Throws: ``MultiformatsError/unsupportedMultibase(prefix:)`` for another prefix, or the encoding's error.
    public static func decode(_ text: some StringProtocol) throws(MultiformatsError) -> [UInt8] {
        let digits = text.dropFirst()
        switch text.first {
        case "z": return try Base58.decode(digits)
        case "b": return try Base32.decode(digits)
        case "k": return try Base36.decode(digits)
        case "u": return try Base64URL.decode(digits)
        case let prefix?: throw .unsupportedMultibase(prefix: String(prefix).clippedForError)
        case nil: throw .truncated(what: "multibase")
        }
    }
}
