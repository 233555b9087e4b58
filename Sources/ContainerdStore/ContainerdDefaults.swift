extension ContainerdStore {
    /// Where a containerd is by default, and where the kubelet's images are in it.
    public enum Defaults {
        /// The socket of containerd's gRPC API.
        public static let socketPath = "/run/containerd/containerd.sock"
        /// The namespace of the images that the kubelet pulls.
        public static let namespace = "k8s.io"
        /// The folder of the content store.
        public static let contentPath = "/var/lib/containerd/io.containerd.content.v1.content"
    }
}
