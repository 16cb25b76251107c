// A libpdfium that a file has taken over. It is linked with the real library and replaces one of its functions, the one
// that opens a file. The file names what the code then tries: "%PDF-1.7 <attempt> <argument>". When the attempt fails
// or succeeds, the outcome is the text of page 1; an attempt that ends the process has no outcome.
//
// With -DALONE the attempts are a program without a sandbox, which shows that each of them succeeds there.
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/sched.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

// What an attempt found out, for those that read something.
static char found[512];

static int connect_to(const char *port, int type) {
  int fd = socket(AF_INET, type, 0);
  if (fd < 0) return -1;
  struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(atoi(port)), .sin_addr = {htonl(INADDR_LOOPBACK)}};
  if (connect(fd, (struct sockaddr *)&to, sizeof to) < 0) return -1;
  return write(fd, "stolen", 6) == 6 ? 0 : -1;
}

static int connect_to_path(const char *path) {
  int fd = socket(AF_UNIX, SOCK_STREAM, 0);
  if (fd < 0) return -1;
  struct sockaddr_un to = {.sun_family = AF_UNIX};
  strncpy(to.sun_path, path, sizeof to.sun_path - 1);
  return connect(fd, (struct sockaddr *)&to, sizeof to);
}

static int read_path(const char *path) {
  int fd = open(path, O_RDONLY);
  if (fd < 0) return -1;
  ssize_t length = read(fd, found, sizeof found - 1);
  for (ssize_t i = 0; i < length; i++) {
    if (found[i] == 0 || found[i] == '\n' || found[i] == '"' || found[i] == '\\') found[i] = ' ';
  }
  return length > 0 ? 0 : -1;
}

static int create(const char *path, int flags) {
  int fd = open(path, flags, 0600);
  if (fd < 0) return -1;
  // The size of files is limited to nothing, so the file itself is what is left behind.
  return close(fd);
}

static int read_memory_of(const char *pid) {
  char byte;
  struct iovec here = {&byte, 1}, there = {(void *)&errno, 1};
  // Any address will do: the right to read is checked before the address.
  if (process_vm_readv(atoi(pid), &here, 1, &there, 1, 0) == 1) return 0;
  return errno == EFAULT ? 0 : -1;
}

static void *nothing(void *argument) { return argument; }

static int start_thread(void) {
  pthread_t thread;
  int error = pthread_create(&thread, NULL, nothing, NULL);
  errno = error;
  return error ? -1 : 0;
}

static int start_process(void) {
  pid_t child = fork();
  if (child == 0) _exit(0);
  return child < 0 || waitpid(child, NULL, 0) < 0 ? -1 : 0;
}

static int start_program(void) {
  char *arguments[] = {"/bin/true", NULL}, *variables[] = {NULL};
  return execve(arguments[0], arguments, variables);
}

static int run_made_code(int by_mprotect) {
#if defined(__x86_64__)
  static const unsigned char code[] = {0x31, 0xc0, 0xc3}; // xor eax, eax; ret
#else
  static const unsigned int code[] = {0x52800000, 0xd65f03c0}; // mov w0, 0; ret
#endif
  int protection = PROT_READ | PROT_WRITE | (by_mprotect ? 0 : PROT_EXEC);
  void *memory = mmap(NULL, 4096, protection, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) return -1;
  memcpy(memory, code, sizeof code);
  if (by_mprotect && mprotect(memory, 4096, PROT_READ | PROT_EXEC) < 0) return -1;
  __builtin___clear_cache(memory, (char *)memory + sizeof code);
  return ((int (*)(void))memory)();
}

#if defined(__x86_64__)
// The table of calls of 32 bits has other numbers: 20 is getpid there.
static int call_with_32_bits(void) {
  int answer;
  __asm__ volatile("int $0x80" : "=a"(answer) : "a"(20) : "memory");
  return answer > 0 ? 0 : -1;
}
#endif

static int attempt(const char *name, const char *argument) {
  int pid = atoi(argument);
  if (!strcmp(name, "nothing")) return 0;
  if (!strcmp(name, "connect")) return connect_to(argument, SOCK_STREAM);
  if (!strcmp(name, "send-datagram")) return connect_to(argument, SOCK_DGRAM);
  if (!strcmp(name, "connect-to-path")) return connect_to_path(argument);
  if (!strcmp(name, "socket-pair")) return socketpair(AF_UNIX, SOCK_STREAM, 0, (int[2]){0, 0});
  if (!strcmp(name, "read-file")) return read_path(argument);
  if (!strcmp(name, "read-link")) return readlink(argument, found, sizeof found - 1) > 0 ? 0 : -1;
  if (!strcmp(name, "stat")) return stat(argument, &(struct stat){0});
  if (!strcmp(name, "list-folder")) return open(argument, O_RDONLY | O_DIRECTORY) < 0 ? -1 : 0;
  if (!strcmp(name, "create-file")) return create(argument, O_CREAT | O_WRONLY);
  if (!strcmp(name, "create-for-reading")) return create(argument, O_CREAT | O_RDONLY);
  if (!strcmp(name, "open-for-writing")) return create(argument, O_RDWR);
  if (!strcmp(name, "truncate")) return truncate(argument, 0);
  if (!strcmp(name, "unlink")) return unlink(argument);
  if (!strcmp(name, "rename")) return rename(argument, "/tmp/renamed-by-a-file");
  if (!strcmp(name, "make-folder")) return mkdir(argument, 0700);
  if (!strcmp(name, "change-mode")) return chmod(argument, 0777);
  if (!strcmp(name, "change-folder")) return chdir(argument);
  if (!strcmp(name, "read-memory")) return read_memory_of(argument);
  if (!strcmp(name, "trace")) return ptrace(PTRACE_SEIZE, pid, 0, 0) < 0 ? -1 : 0;
  if (!strcmp(name, "signal")) return kill(pid, 0);
  if (!strcmp(name, "signal-thread")) return syscall(SYS_tgkill, pid, pid, 0);
  if (!strcmp(name, "open-process")) return syscall(SYS_pidfd_open, pid, 0) < 0 ? -1 : 0;
  if (!strcmp(name, "read-limits")) return prlimit(pid, RLIMIT_AS, NULL, &(struct rlimit){0});
  if (!strcmp(name, "raise-limit")) return setrlimit(RLIMIT_NOFILE, &(struct rlimit){16, 16});
  if (!strcmp(name, "start-thread")) return start_thread();
  if (!strcmp(name, "start-process")) return start_process();
  if (!strcmp(name, "start-program")) return start_program();
  if (!strcmp(name, "made-code")) return run_made_code(0);
  if (!strcmp(name, "made-code-by-mprotect")) return run_made_code(1);
  if (!strcmp(name, "memory-file")) return syscall(SYS_memfd_create, "m", 0) < 0 ? -1 : 0;
  if (!strcmp(name, "io-uring")) return syscall(SYS_io_uring_setup, 1, calloc(1, 4096)) < 0 ? -1 : 0;
  if (!strcmp(name, "leave-namespace")) return syscall(SYS_unshare, 0x10000000);
  if (!strcmp(name, "become-root")) return syscall(SYS_setuid, getuid());
#if defined(__x86_64__)
  if (!strcmp(name, "32-bits")) return call_with_32_bits();
#endif
  errno = ENOSYS;
  return -1;
}

static void try_and_tell(const char *name, const char *argument) {
  int outcome = attempt(name, argument);
  char text[1024];
  if (outcome < 0) snprintf(text, sizeof text, "refused with error %d", errno);
  else snprintf(text, sizeof text, "succeeded %s", found);
  printf("{\"opened\":1}\n{\"page\":{\"number\":1,\"blocks\":[{\"paragraph\":{\"text\":\"%s\"}}]}}\n\"complete\"\n", text);
  fflush(stdout);
  _exit(0);
}

#ifdef ALONE
int main(int count, char **arguments) {
  if (count == 3) try_and_tell(arguments[1], arguments[2]);
  return 1;
}
#else
void *FPDF_LoadMemDocument64(const void *data, size_t length, const char *password) {
  (void)password;
  static char text[512];
  char name[64] = "", argument[400] = "";
  memcpy(text, data, length < sizeof text ? length : sizeof text - 1);
  sscanf(text, "%%PDF-1.7 %63s %399s", name, argument);
  try_and_tell(name, argument);
  return NULL;
}
#endif
