/// The tasks of the operations in flight, so that each can be cancelled and none outlives the node's service.
///
/// Not thread-safe: the node keeps it under its lock.
struct OperationTasks {
    private var tasks: [KademliaMachine.OperationID: Task<Void, Never>] = [:]

    var count: Int { tasks.count }

    mutating func insert(_ task: Task<Void, Never>, for id: KademliaMachine.OperationID) {
        tasks[id] = task
    }

    mutating func remove(_ id: KademliaMachine.OperationID) {
        tasks[id] = nil
    }

    /// The task of an operation that has not ended.
    func task(of id: KademliaMachine.OperationID) -> Task<Void, Never>? { tasks[id] }

    /// All tasks that have not ended.
    var all: [Task<Void, Never>] { Array(tasks.values) }
}
