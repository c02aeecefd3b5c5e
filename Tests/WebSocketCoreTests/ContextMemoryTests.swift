import Testing

@testable import WebSocketCore

struct ContextMemoryTests {
  @Test(arguments: [
    (64 * 1024, ContextMemory.mostMappings, true), (64 * 1024, 0, false),
    (1024, ContextMemory.mostMappings, false),
  ])
  func `large blocks are mappings, of which there is a bounded number`(
    _ size: Int, _ most: Int, _ isMapped: Bool
  ) {
    guard let block = unsafe ContextMemory.allocate(size, mostMappings: most) else {
      Issue.record("there is no memory")
      return
    }
    let found = unsafe ContextMemory.isMapped(block)
    #expect(found == isMapped)
    unsafe block.initializeMemory(as: UInt8.self, repeating: 1, count: size)
    unsafe ContextMemory.free(block)
  }
}
