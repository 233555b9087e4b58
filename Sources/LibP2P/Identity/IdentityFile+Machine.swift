import Glibc
import Synchronization

/// An identity, and why it is not the one of the data folder.
public struct NodeIdentity: Sendable {
    /// What became of the key in the data folder.
    public enum Origin: Equatable, Sendable {
        /// The key is the folder's.
        case folder
        /// The folder was another machine's: a new key took the place of its key, which is kept aside.
        case replaced(kept: String, kind: MachineNames.Kind)
        /// The folder is another machine's and cannot be written: the key lasts as long as the process.
        case temporaryOnCopy(reason: String)
        /// Another process uses the folder: the key lasts as long as the process.
        case temporaryBesideProcess
    }

    /// The key.
    public var keyPair: KeyPair
    /// What became of the key in the data folder.
    public var origin = Origin.folder
    /// Why the machine's names could not be written to the folder, if they could not.
    public var unnamed: String?
    /// Keeps the folder for this process.
    var lock: FolderLock?
}

/// A lock on a folder, which ends with the process or with the last reference.
final class FolderLock: Sendable {
    private let descriptor: Int32

    /// - Returns: `nil` if another process has the lock.
    /// - Throws: A ``Failure`` where folders cannot be locked.
    init?(_ folder: String) throws(Failure) {
        let descriptor = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        guard descriptor >= 0 else { throw Failure() }
        self.descriptor = descriptor
        guard flock(descriptor, LOCK_EX | LOCK_NB) != 0 else { return }
        guard errno == EWOULDBLOCK else { throw Failure() }
        return nil
    }

    struct Failure: Error {}

    deinit { _ = close(descriptor) }
}

extension IdentityFile {
    /// The name of the file with the names of the machine that the key belongs to.
    private var machinePath: String { (directory == "/" ? "" : directory) + "/machine" }

    /// The place of a key that belongs to another machine.
    var otherKeyPath: String { path + ".of-another-machine" }

    /// Reads the key of this machine, or creates one: if there is none, if the folder was copied from another machine, or
    /// if another process uses the folder. Two nodes with one key could not reach each other.
    ///
    /// - Throws: as ``loadOrCreate()``.
    public func loadOrCreate(on machine: MachineNames) throws(IdentityError) -> NodeIdentity {
        let key = try loadOrCreate()
        let lock: FolderLock?
        do {
            lock = try FolderLock(directory)
            if lock == nil { return NodeIdentity(keyPair: KeyPair(), origin: .temporaryBesideProcess) }
        } catch {
            lock = nil
        }
        var identity = NodeIdentity(keyPair: key, lock: lock)
        let known = MachineNames(text: (try? read(machinePath)) ?? "")
        if let kind = machine.difference(from: known) {
            do {
                identity.keyPair = try replaceKey()
                identity.origin = .replaced(kept: otherKeyPath, kind: kind)
            } catch {
                identity.keyPair = KeyPair()
                identity.origin = .temporaryOnCopy(reason: "\(error)")
                return identity
            }
        }
        guard machine != known, !machine.names.isEmpty else { return identity }
        do {
            try write(machine.text, to: machinePath)
        } catch {
            identity.unnamed = "\(error)"
        }
        return identity
    }

    private func replaceKey() throws(IdentityError) -> KeyPair {
        let key = KeyPair()
        guard rename(path, otherKeyPath) == 0 else { throw failure("rename", path) }
        try write(key.pem, to: path)
        return key
    }
}
