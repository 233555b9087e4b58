import OCI
import TestSupport
import Testing

@Suite(.timeLimit(.minutes(2)))
struct ReferencePatternTests {
    @Test(
        arguments: [
            (":latest$", "docker.io/library/ubuntu:latest", true),
            (":latest$", "docker.io/library/ubuntu:latest-1", false),
            (":latest$", "docker.io/library/ubuntu", false),
            ("^docker.io", "docker.io/library/ubuntu", true),
            ("^docker.io", "quay.io/docker.io/x", false),
            (#"^docker\.io/"#, "dockerXio/x", false),
            ("docker.io/(library|team)/", "docker.io/team/x:1", true),
            ("docker.io/(library|team)/", "docker.io/other/x:1", false),
            ("(?i)TEAM", "quay.io/team/x", true),
            ("TEAM", "quay.io/team/x", false),
            ("(?i:T)eam", "quay.io/team/x", true),
            ("(?i:T)EAM", "quay.io/team/x", false),
            ("^[a-z]+[.]io/", "quay.io/x", true),
            ("^[^/]+:[0-9]+/", "registry.lab:5000/x", true),
            ("^[^/]+:[0-9]+/", "registry.lab/x:5000", false),
            (#":\d{4,}$"#, "a.io/x:2024", true),
            (#":\d{4,}$"#, "a.io/x:202", false),
            (#":v\d+\.\d+(\.\d+)?$"#, "a.io/x:v1.2.3", true),
            (#":v\d+\.\d+(\.\d+)?$"#, "a.io/x:v1.2.3.4", false),
            (#"\bapp\b"#, "a.io/my-app:1", true),
            (#"\bapp\b"#, "a.io/myapp:1", false),
            (#"\Bapp"#, "a.io/myapp:1", true),
            (#"\Aquay"#, "quay.io/x", true),
            (#"x\z"#, "quay.io/x", true),
            (#"\Qa.io\E/x"#, "a.io/x", true),
            (#"\Qa.io\E/x"#, "abio/x", false),
            (#"\x61\x{2e}io"#, "a.io/x", true),
            ("[[:digit:]]+$", "a.io/x:12", true),
            ("[[:^digit:]]$", "a.io/x:12", false),
            ("(?P<name>team)/", "a.io/team/x", true),
            ("a{2}", "baab", true), ("a{3}", "baab", false), ("a{,2}", "a{,2}", true), ("^a{0,2}$", "aaa", false),
            ("a|", "anything", true), ("", "anything", true), ("()", "", true), ("^$", "", true), ("^$", "a", false),
            ("x*?y", "xxy", true), ("[]a]+", "]", true), ("[a-]", "-", true), ("[^]a]", "]", false),
            ("(a*)*b", "aab", true), ("(a*)+$", "b", true), ("é", "café", true), ("é+$", "caféé", true),
        ] as [(String, String, Bool)]
    )
    func matchesAsInRE2(_ pattern: String, _ text: String, _ isFound: Bool) throws {
        #expect(try ReferencePattern(pattern).matches(text) == isFound)
    }

    @Test(arguments: [
        "(", ")", "a)", "[", "[a", "*", "+a", "?", "a**", "a{2}{3}", "(?=a)", "(?!a)", "(?<=a)b", #"(a)\1"#, #"\p{L}"#,
        "[b-a]", "a{1001}", "a{3,2}", #"\"#, #"a\"#, #"[\"#, "[[:nothing:]]", #"\x6"#, #"\x{}"#, #"\xff"#, "[é]",
        "(?z)a",
        "((a{1000}){1000}){1000}", "((((a{50}){50}){50}){50})", "(|*)",
    ])
    func rejectsMalformedPatterns(_ pattern: String) {
        #expect(throws: ReferencePattern.ParseError.self) { try ReferencePattern(pattern) }
    }

    @Test func rejectsLongPatterns() throws {
        #expect(throws: ReferencePattern.ParseError.tooLong) {
            try ReferencePattern(String(repeating: "a", count: ReferencePattern.maximumLength + 1))
        }
        _ = try ReferencePattern(String(repeating: "a", count: ReferencePattern.maximumLength))
        #expect(throws: ReferencePattern.ParseError.self) {
            try ReferencePattern(String(repeating: "(", count: 200) + String(repeating: ")", count: 200))
        }
    }

    /// Patterns that take a backtracking matcher exponential time.
    @Test(arguments: [
        "(a*)*b", "(a|aa)+b", "(a+)+$", "(a|a)*c", "(.*)(.*)(.*)(.*)(.*)b", "(a?){500}a{500}b",
        "(((){1000}){1000}){1000}b",
    ])
    func matchesInLinearTime(_ pattern: String) throws {
        let text = String(repeating: "a", count: Reference.maximumLength) + "!"
        #expect(try !ReferencePattern(pattern).matches(text))
    }

    @Test func agreesWithStandardLibraryOnRandomPatterns() throws {
        var random = SeededGenerator()
        print("seed: \(random.seed)")
        for _ in 0..<3000 {
            let pattern = Self.pattern(depth: 3, &random)
            let mine = try ReferencePattern(pattern)
            let theirs = try Regex(pattern)
            for _ in 0..<6 {
                let count = Int.random(in: 0...7, using: &random)
                let text = String((0..<count).map { _ in "abc/:1".randomElement(using: &random) ?? "a" })
                let isFound = text.firstMatch(of: theirs) != nil
                #expect(mine.matches(text) == isFound, "\(pattern) in \(text), seed \(random.seed)")
            }
        }
    }

    private static func pattern(depth: Int, _ random: inout SeededGenerator) -> String {
        let items = (0..<Int.random(in: 1...3, using: &random)).map { _ -> String in
            let atoms = ["a", "b", "c", "/", ":", "1", ".", "[ab]", "[^a]", #"\d"#, #"\w"#, "(?:a|b)"]
            // The standard library's matcher takes too long for a repeated group that can be empty.
            var repetitions = ["", "", "", "*", "+", "?", "{2}", "{1,2}", "{0,1}"]
            var item = atoms.randomElement(using: &random) ?? "a"
            if depth > 0, Int.random(in: 0..<3, using: &random) == 0 {
                let inner = pattern(depth: depth - 1, &random)
                item =
                    Bool.random(using: &random) ? "(?:\(inner)|\(pattern(depth: depth - 1, &random)))" : "(?:\(inner))"
                repetitions = ["", "?", "{0,1}", "{1}"]
            }
            return item + (repetitions.randomElement(using: &random) ?? "")
        }
        let text = items.joined()
        guard depth == 3 else { return text }
        return (Int.random(in: 0..<4, using: &random) == 0 ? "^" : "") + text
            + (Int.random(in: 0..<4, using: &random) == 0 ? "$" : "")
    }

    @Test func neverTrapsOnRandomPatterns() {
        var random = SeededGenerator()
        print("seed: \(random.seed)")
        let alphabet = Array(#"ab(){}[]|*+?^$\.,:-0129?iPQEdx<>é"#)
        for _ in 0..<20_000 {
            let count = Int.random(in: 0...12, using: &random)
            let text = String((0..<count).map { _ in alphabet.randomElement(using: &random) ?? "a" })
            if let pattern = try? ReferencePattern(text) { _ = pattern.matches("docker.io/library/a:1") }
        }
    }
}
