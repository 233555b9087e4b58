import Membership
import Multiformats

/// A user name and a password, for HTTP's Basic authentication (RFC 7617).
public struct Credentials: Hashable, Sendable {
    /// The most bytes of each.
    public static let maximumLength = 1024

    /// The value of the `Authorization` header that carries them.
    public let header: String
    private let username: [UInt8]
    private let password: [UInt8]

    /// - Returns: nil when the name holds a colon, which RFC 7617 (section 2) forbids, or either is too long.
    public init?(username: [UInt8], password: [UInt8]) {
        guard username.count <= Self.maximumLength, password.count <= Self.maximumLength,
            !username.contains(UInt8(ascii: ":"))
        else { return nil }
        self.username = username
        self.password = password
        header = "Basic " + Base64.encode(username + [UInt8(ascii: ":")] + password)
    }

    /// The key by which nodes prove to each other that they know the password, without sending it. It takes long to make,
    /// so that guesses of the password cost as much.
    func makeProofKey() -> ContentKey { ContentKey(username: username, password: password) }

    /// Whether a value of the `Authorization` header carries these. The time that it takes tells nothing of how much
    /// of it is right.
    func match(_ value: String) -> Bool {
        let scheme = value.utf8.prefix(5)
        guard scheme.elementsEqual("basic".utf8, by: { $0 | 0x20 == $1 }) else { return false }
        let given = value.utf8.dropFirst(5).drop { $0 == UInt8(ascii: " ") }
        let expected = header.utf8.dropFirst(6)
        guard value.utf8.dropFirst(5).first == UInt8(ascii: " "), given.count == expected.count else { return false }
        var difference: UInt8 = 0
        for (left, right) in zip(given, expected) { difference |= left ^ right }
        return difference == 0
    }
}
