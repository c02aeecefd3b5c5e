import Glibc

/// Replaces the C library's `open` in this program, because of one caller.
///
/// Once a second, Dispatch reads `/proc/THREAD/stat` of its threads, to see whether they run or wait, and ends the process if
/// it cannot open that file. The call fails without `/proc`, or without a free descriptor, and neither is a reason to end the
/// process. Dispatch continues if only the reading fails (`_dispatch_workq_count_runnable_workers` in libdispatch), so this
/// function returns a number that is not a descriptor.
///
/// The C function takes its third argument only with some flags. The calling conventions of Linux pass it in the same way as
/// here, and the system ignores it without these flags.
@c(open)
func openForDispatch(_ path: UnsafePointer<CChar>?, _ flags: Int32, _ mode: mode_t) -> Int32 {
  guard let path = unsafe path else {
    errno = EFAULT
    return -1
  }
  let descriptor = unsafe openat(AT_FDCWD, path, flags, mode)
  guard descriptor < 0, unsafe isStatusOfThread(path) else { return descriptor }
  return Int32.max
}

/// `/proc/NUMBER/stat`
private func isStatusOfThread(_ path: UnsafePointer<CChar>) -> Bool {
  unsafe "/proc/".withCString { prefix in
    unsafe "/stat".withCString { suffix in
      let length = unsafe strlen(path)
      let (start, end) = unsafe (strlen(prefix), strlen(suffix))
      return unsafe length > start + end && strncmp(path, prefix, start) == 0
        && strcmp(path + (length - end), suffix) == 0
    }
  }
}
