// ringcastd: the server.
#include "run_program.h"

int main(int argc, char** argv) {
    return rc::main::run_program(argc, argv);
}
