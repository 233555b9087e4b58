import Crypto
import Membership
import Multiformats
import Testing

@Suite struct ClusterKeyTests {
    private static let secret = [UInt8](0..<32)

    private func keys(_ text: String) throws -> ClusterKeys {
        try ClusterKeyFile.parse(Array(text.utf8))
    }

    private func failure(_ text: String) -> ClusterKeyFile.Failure? {
        do throws(ClusterKeyFile.Failure) {
            _ = try ClusterKeyFile.parse(Array(text.utf8))
            return nil
        } catch {
            return error
        }
    }

    @Test func printedKeyIsReadBack() throws {
        let (first, second) = (ClusterKey.makeLine(), ClusterKey.makeLine())
        #expect(first != second)
        #expect(try keys(first).all.count == 1)
        #expect(try keys(first) != keys(second))
        let both = try keys(first + "\n" + second + "\n")
        #expect(both.all == (try keys(first).all + keys(second).all))
    }

    @Test(arguments: ["", "\n", "\r\n", " \n\n"])
    func ignoresBlankLinesAndSpace(end: String) throws {
        let line = Base64.encode(Self.secret)
        let expected = try #require(ClusterKey(secret: Self.secret))
        #expect(try keys(end + "  " + line + end).current == expected)
        #expect(try keys(line.replacing("=", with: "") + end).current == expected)
        #expect(try keys(line + "\n" + line).others.isEmpty)
    }

    @Test func takesBothAlphabets() throws {
        let secret = [UInt8](repeating: 0xFB, count: 33)
        let standard = Base64.encode(secret)
        #expect(standard.contains("+"))
        #expect(try keys(standard) == keys(Base64URL.encode(secret)))
    }

    @Test func saysWhatIsWrongWithoutTheKey() {
        let line = Base64.encode(Self.secret)
        let short = Base64.encode(Self.secret.dropLast())
        #expect(failure("") == .empty)
        #expect(failure(" \n\n") == .empty)
        #expect(failure(line + "\n\n" + short) == .wrongLength(line: 3, bytes: 31))
        #expect(failure("spaces in here\n") == .notBase64(line: 1))
        #expect(failure(line + "\nö") == .notBase64(line: 2))
        #expect(failure(line + "=\n") == .notBase64(line: 1))
        #expect(failure(String(repeating: line + "\n", count: 9)) == nil, "the same key counts once")
        #expect(failure((0..<9).map { _ in ClusterKey.makeLine() }.joined(separator: "\n")) == .tooMany)
        let texts = [failure(line + "\n" + short), failure(line + "\n" + line.dropLast(2) + "!!")].map {
            "\($0, default: "")"
        }
        for text in texts {
            #expect(text.contains("line 2"))
            #expect(!text.contains(short.prefix(8)))
        }
    }

    /// The derivation is part of the protocol between nodes of different versions. Computed with Python's hmac.
    @Test func derivesKeysAsBefore() throws {
        let key = try #require(ClusterKey(secret: Self.secret))
        #expect(key.fingerprint == "d7017690")
        #expect(
            key.handshake.withUnsafeBytes { Base64.encode(Array($0)) } == "DO67Q4iVklGk1YcnTtIXc0+l/hCIxzcqOaDvOaR6oIY="
        )
    }

    @Test func keyOfEachPurposeDiffers() throws {
        let key = try #require(ClusterKey(secret: Self.secret))
        let other = try #require(ClusterKey(secret: Self.secret.reversed()))
        #expect(key.handshake != SymmetricKey(data: Self.secret))
        #expect(key.handshake != other.handshake)
        #expect(key.content != other.content)
        #expect(key.fingerprint != other.fingerprint)
    }

    @Test func passwordMakesKeyOfItsOwn() {
        let key = ContentKey(username: Array("user".utf8), password: Array("secret".utf8))
        #expect(key == ContentKey(username: Array("user".utf8), password: Array("secret".utf8)))
        #expect(key != ContentKey(username: Array("user".utf8), password: Array("Secret".utf8)))
        #expect(key != ContentKey(username: Array("users".utf8), password: Array("ecret".utf8)))
    }

    @Test func ringTellsWhetherKeysChanged() throws {
        let (first, second) = (try keys(ClusterKey.makeLine()), try keys(ClusterKey.makeLine()))
        let ring = KeyRing(first)
        #expect(!ring.change(to: first))
        #expect(ring.change(to: second))
        #expect(ring.keys == second)
    }
}
