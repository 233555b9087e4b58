/// The source of a setting's value, in order of precedence.
enum SettingSource: Hashable, CustomStringConvertible {
    case flag
    case variable(String)
    case file(String)
    case standard

    /// The source in words, as in "set by the environment variable CONFIG".
    var description: String {
        switch self {
        case .flag: "flag"
        case .variable(let name): "environment variable \(name)"
        case .file(let path): "file \(path)"
        case .standard: "default"
        }
    }
}
