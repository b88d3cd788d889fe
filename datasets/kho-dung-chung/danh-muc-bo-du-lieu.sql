WITH moi_nhat AS (
    SELECT dataset, release, rows_total, finished_at, rows_accepted, rows_quarantined, rows_read, synthetic
    FROM kho.ledger
    WHERE release IS NOT NULL
    QUALIFY row_number() OVER (PARTITION BY dataset ORDER BY release DESC) = 1
),
dot_giao AS (
    SELECT
        dataset,
        count(*) AS so_dot,
        count(*) FILTER (outcome = 'refused') AS tu_choi
    FROM kho.ledger
    GROUP BY ALL
)
SELECT
    so.id AS ma_bo_du_lieu,
    so.ten,
    so.ten_en,
    so.domain AS linh_vuc,
    so.agency AS ma_co_quan,
    so.cycle AS chu_ky,
    so.access AS muc_chia_se,
    so.personal_data AS du_lieu_ca_nhan,
    so.load_mode AS cach_nap,
    so.provenance AS nguon_goc,
    so.status AS trang_thai,
    so.version AS phien_ban_hop_dong,
    moi_nhat.rows_total AS so_ban_ghi,
    moi_nhat.release AS phien_ban,
    moi_nhat.finished_at AS cap_nhat_cuoi,
    coalesce(dot_giao.so_dot, 0) AS so_dot_giao,
    coalesce(dot_giao.tu_choi, 0) AS so_dot_bi_tu_choi,
    moi_nhat.rows_quarantined AS so_hang_cach_ly,
    round(100.0 * moi_nhat.rows_accepted / nullif(moi_nhat.rows_read, 0), 2) AS diem_chat_luong,
    moi_nhat.synthetic AS la_du_lieu_gia_lap
FROM kho.register AS so
LEFT JOIN moi_nhat ON moi_nhat.dataset = so.id
LEFT JOIN dot_giao ON dot_giao.dataset = so.id
