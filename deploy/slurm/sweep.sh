#!/bin/sh
# A sweep of the simulator as an array of Slurm: each task one shard, all into one folder
# that every node sees.
#
#     sbatch deploy/slurm/sweep.sh grid.yaml results
#     trivium sim sweep merge results --html report.html
#
# The array begins at 0. A task that is requeued, or submitted again after its time was up,
# goes on where it was.
#SBATCH --job-name=trivium-sweep
#SBATCH --array=0-7
#SBATCH --cpus-per-task=4
#SBATCH --mem=4G
#SBATCH --time=04:00:00
#SBATCH --requeue
set -eu
: "${1:?wanted a sweep file and a folder}" "${2:?wanted a folder for the results}"
exec srun --ntasks=1 trivium sim sweep "$1" \
  --shard "$SLURM_ARRAY_TASK_ID/$SLURM_ARRAY_TASK_COUNT" \
  --threads "$SLURM_CPUS_PER_TASK" --out "$2"
