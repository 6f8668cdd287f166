/* All that is compiled for each type of number. */

#include "vectors.c"
#include "matmul.c"
#include "limits.c"
#include "gather.c"
#include "products.c"
#include "optimizers.c"
#include "layers.c"
#include "training.c"
