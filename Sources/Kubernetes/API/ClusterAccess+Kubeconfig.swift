import Files
import FoundationEssentials
import HTTPClient
import StructuredText

extension ClusterAccess {
    /// The access of the current context of a kubeconfig, by token or client certificate. Relative paths in it start in
    /// its folder.
    ///
    /// - Throws: ``AccessError`` with the file and the fault in it.
    public static func kubeconfig(path: String) throws(AccessError) -> ClusterAccess {
        let bytes: [UInt8]?
        do {
            bytes = try Files.read(path, limit: 1 << 20)
        } catch {
            throw AccessError("\(error)")
        }
        guard let bytes else { throw AccessError("kubeconfig \(path) not found") }
        do {
            return try kubeconfig(bytes, folder: Files.parent(of: path) ?? ".")
        } catch {
            throw AccessError("kubeconfig \(path): \(error)")
        }
    }

    static func kubeconfig(_ bytes: [UInt8], folder: String) throws(AccessError) -> ClusterAccess {
        let document: JSONValue
        do {
            document = try YAMLParser.parse(bytes)
        } catch {
            throw AccessError("\(error)")
        }
        guard let current = document["current-context"]?.text, !current.isEmpty else {
            throw AccessError("missing current-context")
        }
        let context = try entry("context", named: current, in: document)
        let cluster = try entry("cluster", named: context["cluster"]?.text ?? "", in: document)
        let user = try entry("user", named: context["user"]?.text ?? "", in: document)

        guard let server = cluster["server"]?.text else { throw AccessError("missing server of the cluster") }
        guard var url = HTTPURL(server) else {
            throw AccessError("expected an http or https URL as server, got '\(server)'")
        }
        if url.path.hasSuffix("/") {
            let path = String(url.path.dropLast())
            url = HTTPURL(isSecure: url.isSecure, host: url.host, port: url.port, path: path)
        }
        var access = ClusterAccess(server: url)
        access.namespace = context["namespace"]?.text
        access.serverName = cluster["tls-server-name"]?.text
        access.authority = try material("certificate-authority", in: cluster, folder: folder)
        if cluster["insecure-skip-tls-verify"]?.bool == true {
            access.verifiesServer = false
            access.warning = "insecure-skip-tls-verify is set: the API server's identity is not verified"
        }
        for unsupported in ["exec", "auth-provider", "username"] where user[unsupported]?.isNull == false {
            throw AccessError("unsupported \(unsupported) of the user: use a token or a client certificate")
        }
        access.clientCertificate = try material("client-certificate", in: user, folder: folder)
        access.clientKey = try material("client-key", in: user, folder: folder)
        if let path = user["tokenFile"]?.text, !path.isEmpty {
            access.bearerToken = .file(resolve(path, in: folder))
        } else if let token = user["token"]?.text, !token.isEmpty {
            access.bearerToken = .bytes(Array(token.utf8))
        }
        return access
    }

    private static func entry(_ kind: String, named name: String, in document: JSONValue) throws(AccessError)
        -> JSONValue
    {
        let entries = document["\(kind)s"]?.items ?? []
        guard let entry = entries.first(where: { $0["name"]?.text == name }) else {
            throw AccessError("missing \(kind) '\(name)'")
        }
        return entry[kind] ?? .object([:])
    }

    /// The base64 of `KEY-data`, or else the file of `KEY`.
    private static func material(
        _ key: String,
        in object: JSONValue,
        folder: String
    ) throws(AccessError) -> Material? {
        if let text = object["\(key)-data"]?.text, !text.isEmpty {
            let compact = text.filter { !$0.isWhitespace }
            guard let data = Data(base64Encoded: compact) else { throw AccessError("expected base64 in \(key)-data") }
            return .bytes(Array(data))
        }
        guard let path = object[key]?.text, !path.isEmpty else { return nil }
        return .file(resolve(path, in: folder))
    }

    private static func resolve(_ path: String, in folder: String) -> String {
        path.hasPrefix("/") ? path : "\(folder)/\(path)"
    }
}
