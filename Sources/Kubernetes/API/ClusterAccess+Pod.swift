import Files
import HTTPClient

extension ClusterAccess {
    /// The folder where Kubernetes mounts a pod's service account.
    public static let serviceAccountFolder = "/var/run/secrets/kubernetes.io/serviceaccount"

    /// The access of a pod by its service account.
    ///
    /// - Parameter environment: the variables, with `KUBERNETES_SERVICE_HOST` and `KUBERNETES_SERVICE_PORT`.
    public static func inCluster(
        environment: [String: String],
        folder: String = serviceAccountFolder
    ) throws(AccessError) -> ClusterAccess {
        guard let host = environment["KUBERNETES_SERVICE_HOST"], !host.isEmpty else {
            throw AccessError("not in a pod (KUBERNETES_SERVICE_HOST is not set): set a kubeconfig with --kubeconfig")
        }
        let name = host.contains(":") && !host.hasPrefix("[") ? "[\(host)]" : host
        let port = environment["KUBERNETES_SERVICE_PORT"] ?? "443"
        guard let server = HTTPURL("https://\(name):\(port)"), server.path.isEmpty else {
            throw AccessError(
                "expected a server in KUBERNETES_SERVICE_HOST and KUBERNETES_SERVICE_PORT, got \(host) and \(port)"
            )
        }
        var access = ClusterAccess(server: server)
        access.bearerToken = .file("\(folder)/token")
        access.authority = .file("\(folder)/ca.crt")
        do {
            if let bytes = try Files.read("\(folder)/namespace", limit: 1024) {
                let namespace = String(decoding: bytes, as: UTF8.self).split(whereSeparator: \.isWhitespace).joined()
                if !namespace.isEmpty { access.namespace = namespace }
            }
        } catch {
            throw AccessError("\(error)")
        }
        return access
    }
}
