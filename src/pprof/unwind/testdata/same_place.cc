// Two libraries from this source differ in nothing but the size of one frame: one loaded where the
// other was has calls at the same addresses, with other rules.

extern "C" int CallWithFrame(int (*function)(void*), void* argument);

extern "C" int CallWithFrame(int (*function)(void*), void* argument) {
  volatile char room[FRAME_BYTES];
  room[0] = 1;
  const int result = function(argument);
  return result + room[0];
}
