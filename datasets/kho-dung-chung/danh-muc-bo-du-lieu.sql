WITH moi_nhat AS (
    SELECT dataset, release, rows_total, finished_at, rows_accepted, rows_read
    FROM kho.ledger
    WHERE release IS NOT NULL
    QUALIFY row_number() OVER (PARTITION BY dataset ORDER BY release DESC) = 1
)
SELECT
    so.id AS ma_bo_du_lieu,
    so.ten,
    so.ten_en,
    so.agency AS ma_co_quan,
    so.cycle AS chu_ky,
    so.access AS muc_chia_se,
    so.personal_data AS du_lieu_ca_nhan,
    so.status AS trang_thai,
    moi_nhat.rows_total AS so_ban_ghi,
    moi_nhat.release AS phien_ban,
    moi_nhat.finished_at AS cap_nhat_cuoi,
    round(100.0 * moi_nhat.rows_accepted / nullif(moi_nhat.rows_read, 0), 2) AS diem_chat_luong
FROM kho.register AS so
LEFT JOIN moi_nhat ON moi_nhat.dataset = so.id
