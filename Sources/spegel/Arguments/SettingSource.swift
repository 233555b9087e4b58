/// Where the value of a setting comes from, the strongest first.
enum SettingSource: Hashable, CustomStringConvertible {
    case flag
    case variable(String)
    case file(String)
    case standard

    /// For a person, as the end of "this value is from …".
    var description: String {
        switch self {
        case .flag: "flag"
        case .variable(let name): "environment variable \(name)"
        case .file(let path): "file \(path)"
        case .standard: "default"
        }
    }
}
