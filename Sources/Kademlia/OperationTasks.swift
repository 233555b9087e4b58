/// The tasks of the operations under way, so that each can be called off and none outlives the node's service.
///
/// Not safe by itself: the node keeps it under its lock.
struct OperationTasks {
    private var tasks: [KademliaMachine.OperationID: Task<Void, Never>] = [:]

    var count: Int { tasks.count }

    mutating func insert(_ task: Task<Void, Never>, for id: KademliaMachine.OperationID) {
        tasks[id] = task
    }

    mutating func remove(_ id: KademliaMachine.OperationID) {
        tasks[id] = nil
    }

    /// One that has not ended.
    func task(of id: KademliaMachine.OperationID) -> Task<Void, Never>? { tasks[id] }

    /// All that have not ended.
    var all: [Task<Void, Never>] { Array(tasks.values) }
}
