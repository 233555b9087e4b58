/// A parser with its inputs.
struct FuzzTarget: Sendable {
    /// A valid input.
    struct Sample: Sendable {
        /// The name of its file in the corpus.
        var name: String
        var bytes: [UInt8]
    }

    /// The name on the command line and of the folder in the corpus.
    var name: String
    /// The target gets one of this many inputs. Above one where an input costs far more than parsing.
    var divisor = 1
    /// The maximum length of mutated inputs in bytes.
    var maximumLength = 2048
    /// Words of the parser's format.
    var dictionary: [[UInt8]] = []
    /// Generates valid inputs as in the committed corpus. They are deterministic, except for certificates.
    var samples: @Sendable () throws -> [Sample]
    /// Runs the parser and checks what must hold for any input.
    ///
    /// - Returns: whether the input is valid.
    var run: @Sendable ([UInt8]) -> Bool
}

extension FuzzTarget {
    /// A parser of text. Bytes that are not UTF-8 become replacement characters.
    static func text(
        _ name: String,
        dictionary: [String],
        samples: [String],
        run: @escaping @Sendable (String) -> Bool
    ) -> FuzzTarget {
        FuzzTarget(
            name: name,
            dictionary: dictionary.map { Array($0.utf8) },
            samples: {
                samples.enumerated().map { Sample(name: "\($0.offset).txt", bytes: Array($0.element.utf8)) }
            },
            run: { run(String(decoding: $0, as: UTF8.self)) }
        )
    }
}

/// Ends the program, which records the input, when a condition does not hold.
func check(_ condition: Bool, _ meaning: @autoclosure () -> String) {
    guard condition else { fatalError("does not hold: \(meaning())") }
}
